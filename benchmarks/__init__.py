"""Speed of the harness itself, side by side with what people would use instead."""
