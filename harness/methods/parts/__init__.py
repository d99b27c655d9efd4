"""The modules that methods put around those of a base model; each is called as `Place` describes."""
