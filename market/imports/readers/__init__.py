"""Reading bytes into tables: bounded, in a process of their own;
nothing here knows the database.
"""
