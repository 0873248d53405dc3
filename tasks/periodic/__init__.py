"""What beat has done again and again: sweeps, scans, notifications."""
