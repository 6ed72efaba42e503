"""Tools that check: gradients, anomalies, audits."""
