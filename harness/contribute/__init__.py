"""The contributor's way: folders made, checked and taken over; contribute.py is its command line."""
