"""Many experiments: which runs are missing, in processes of their own on this machine or on a Ray cluster."""
