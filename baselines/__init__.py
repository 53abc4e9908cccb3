"""Reference models: what every entry is compared with, and the code that a contributor starts from.

Three rooms, each standing on those before it: `backbones` (sequence to vector), `predicting` (vector to score) and
`training`; on these stands `few_shot` (a handful of measured antibodies to scores of others). Above them `cli` is
`apb-zoo`, `package` and `few_shot_images` build the images in `images/`, `speed` measures the backbones.
"""
