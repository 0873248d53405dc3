"""Markets, their sessions, and the bars and ticks that come in. It knows nothing of detection."""
