"""The reference models: heads, embeddings, the zoo of both, and the images that enter the benchmark."""
