"""How much of anything one file may hold.

Everything is checked as it streams, before anything is built of it.
"""

MIB = 2**20
MOST_BYTES = 512 * MIB
MOST_ROWS = 5_000_000
# Of the columns that are read: bars have nine.
MOST_CELLS = 45_000_000
# A table of 1,600 tickers side by side has as many.
MOST_COLUMNS = 10_000
MOST_LINE_BYTES = 256 * 1024
MOST_CELL_BYTES = 32 * 1024
MOST_MEMBERS = 20_000
# Names that JSON objects of one list may have between them.
MOST_KEYS = 1_000
# Rows among which the names of the columns are looked for, and rows that are looked at: licences
# and notes above them may be long.
SEARCHED_ROWS, SEARCHED_CELLS = 300, 300_000
HEAD_ROWS = SEARCHED_ROWS + 10
# The memory that reading may take on top of what an idle reader has: for any file, for each of its
# bytes, at most.
LEAST_MEMORY = 768 * MIB
MEMORY_PER_BYTE = 12
MOST_MEMORY = 3_072 * MIB
# A preview runs beside the web process, and is of a smaller file.
PREVIEW_MEMORY = 256 * MIB
# What a reader may have more, once it is idle again, than when it started.
MOST_LEFT_BEHIND = 256 * MIB
MOST_CPU_SECONDS = 180
