"""Plan as data: cells become stages with content ids, and stages that cells share are merged.

Pure: knows how much work there is, in what order, and by the name of which job; not how any of it is done.
"""
