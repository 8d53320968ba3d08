"""
How data sets lie on disk, one file a layout.

Each has `rows(path, ...)`, which yields for every row a [`Record`] whose emotion is still as the data set writes it,
or a [`RecordError`] for a row that makes no sense; [`Records`] does the rest. Each tells by `is_here(path)` whether a
path looks like it, and in `LOOKED_FOR` by what.
"""
