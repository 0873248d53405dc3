"""What a person must see."""
