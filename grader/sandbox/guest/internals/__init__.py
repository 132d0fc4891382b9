"""What the guest uses of libraries beyond their documented interfaces, one module for each library.

`tests/contracts/` has a test for each, which names the library when an upgrade moves or removes a part.
"""
