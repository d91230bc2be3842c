"""The latent explorer: a page in which a browser runs an exported model."""
