"""The student bundle: the visible items of an assignment as recorded questions and answers, usable without a grader."""

from grader.authoring.bundling.bundle import BuiltBundle, bundle, write_bundle

__all__ = ["BuiltBundle", "bundle", "write_bundle"]
