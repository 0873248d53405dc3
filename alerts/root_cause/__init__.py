"""Why a bar is strange: whose move it was. Pure functions of arrays."""
