"""What authors of assignments use: start one, import one, verify and calibrate its rubric, bundle it for students."""
