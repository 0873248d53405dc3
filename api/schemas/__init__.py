"""What travels over HTTP, as pydantic models: one file a noun, named as in the other layers."""
