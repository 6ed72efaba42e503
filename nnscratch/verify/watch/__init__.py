"""What looks on while a model runs: anomalies, hidden copies and moves."""
