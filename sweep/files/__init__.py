"""Files: where everything lies in a sweep directory, and how a file is written so that it is whole.

Knows no room above it, and of a format that it is JSON in files and in lines: what belongs in a file is the business of
whoever reads it, who tells the types.
"""
