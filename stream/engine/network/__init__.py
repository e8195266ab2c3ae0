"""The Whisper network: features, encoder, decoder, caches, and the kernels that compute them."""
