"""What crosses between the sandbox and the trusted side: plain data in length-checked frames."""
