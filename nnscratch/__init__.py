"""nnscratch, a neural-network engine written by hand."""
