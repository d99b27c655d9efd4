"""The dashboard over all results: reading, filtering, comparing, choosing, drawing. Nothing here needs torch."""
