"""Limits on what one file may hold.

They are checked while the content streams, before anything is built from it.
"""

MIB = 2**20
MOST_BYTES = 512 * MIB
MOST_ROWS = 5_000_000
# Cells of the columns that are read; bars have nine columns.
MOST_CELLS = 45_000_000
# A table of 1,600 tickers side by side has so many.
MOST_COLUMNS = 10_000
MOST_LINE_BYTES = 256 * 1024
MOST_CELL_BYTES = 32 * 1024
MOST_MEMBERS = 20_000
# The JSON objects of one list may have at most so many different names.
MOST_KEYS = 1_000
# The names of the columns are searched in so many rows and cells, as licences and notes above them
# may be long. A few more rows are read, to see data below the names.
SEARCHED_ROWS, SEARCHED_CELLS = 300, 300_000
HEAD_ROWS = SEARCHED_ROWS + 10
# The memory that reading may take on top of that of an idle reader: for any file at least, for each
# byte of the file, and at most.
LEAST_MEMORY = 768 * MIB
MEMORY_PER_BYTE = 12
MOST_MEMORY = 3_072 * MIB
# A preview runs beside the web process, and reads smaller files.
PREVIEW_MEMORY = 256 * MIB
# An idle reader may have at most so much more memory than when it started.
MOST_LEFT_BEHIND = 256 * MIB
MOST_CPU_SECONDS = 180
