"""The student bundle: an assignment's visible items as recorded questions and answers, to be asked without a grader."""

from grader.authoring.bundling.bundle import Bundled, bundle, write_bundle

__all__ = ["Bundled", "bundle", "write_bundle"]
