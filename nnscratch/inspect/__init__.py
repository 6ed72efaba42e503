"""Tools that show: explanations, summaries, plots."""
