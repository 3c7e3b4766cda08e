"""The corpus in one DuckDB file: typed reads and writes, SQL written out, and nothing else.

Several processes: while one has the file open for writing no other can open it, even to read (DuckDB 2.0). So every
command opens it for as short as it can, training reads frozen files, and a lock error names the holder.
"""
