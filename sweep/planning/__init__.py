"""Plan as data: cells become stages with content ids, and stages that cells share are merged.

Pure: knows how much work there is and in what order, not how any of it is done.
"""
