"""Tiny base models and sentence families that ship with the project, for runs without network or GPU."""
