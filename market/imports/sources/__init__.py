"""Where bars come from: each module turns one kind of source into DataFrames."""
