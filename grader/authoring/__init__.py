"""Tools for authors of assignments: new, import, bundle, verify and calibrate."""
