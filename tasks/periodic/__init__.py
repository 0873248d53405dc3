"""Beat has these done again and again: sweeps, scans, notifications."""
