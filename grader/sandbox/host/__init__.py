"""The trusted end of the sandbox: starts sandboxes, asks questions, believes nothing."""
