"""What a notebook finds around it: packages, Colab, a keyboard, figures, and lines about its environment."""
