"""Every static figure of the course, drawn from data and live objects: one module for each notebook.

`style.py` holds the one plot style: colours with a meaning, sizes, and `show`, which gives a figure its alt text.
"""
