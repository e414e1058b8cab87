"""Files: where everything lies in a sweep directory, and how a file is written so that it is whole.

Knows no format and no room above it: what is in a file is the business of whoever reads it.
"""
