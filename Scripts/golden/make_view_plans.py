"""Writes Tests/Fixtures/images/views.json: how transformers cuts pictures of many sizes for the published LLaVA models.

A list a model; each entry is [width, height, width and height before cutting, views, image tokens].
"""

import json
import random

import numpy as np
from transformers import LlavaNextProcessor, LlavaOnevisionProcessor
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_transforms import get_resize_output_image_size
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil

from fixture_paths import IMAGES


def sizes():
    """Pictures of every shape, some of which just fill their tiles or nearly so."""
    generator = random.Random(5)
    found = [(1, 1), (1, 200), (200, 1), (4000, 20), (20, 4000), (336, 336), (384, 384), (672, 336), (335, 673),
             (2304, 2304), (2305, 2303), (1008, 336), (768, 2304), (6000, 4000), (4000, 6000)]
    while len(found) < 400:
        width, height = (int(2 ** generator.uniform(0, 13)) for _ in range(2))
        if max(width, height) <= 200 * min(width, height):
            found.append((width, height))
    return found


def shape(width, height):
    """An array of that picture's shape which takes no memory."""
    return np.broadcast_to(np.uint8(0), (3, height, width))


def any_resolution(width, height, whole, side):
    """The entry of a picture by a processor."""
    points = whole.image_processor.image_grid_pinpoints
    best = select_best_resolution((height, width), points)
    high, wide = get_patch_output_size(shape(width, height), best, ChannelDimension.FIRST)
    tokens = whole._get_number_of_features(height, width, side, side)
    if whole.vision_feature_select_strategy == "default":
        tokens -= 1
    return [width, height, wide, high, image_size_to_num_patches([height, width], points, side), tokens]


def processor(kind, image_processor, **settings):
    """A processor without a tokenizer."""
    whole = kind.__new__(kind)
    for key, value in {"image_processor": image_processor, **settings}.items():
        setattr(whole, key, value)
    return whole


def main():
    following = processor(
        LlavaNextProcessor, LlavaNextImageProcessorPil(), patch_size=14, num_additional_image_tokens=1,
        vision_feature_select_strategy="default")
    vision = processor(
        LlavaOnevisionProcessor, LlavaOnevisionImageProcessorPil(), num_image_tokens=729,
        vision_aspect_ratio="anyres_max_9", vision_feature_select_strategy="full")
    plans = {"llava": [], "llava_next": [], "llava_onevision": []}
    for width, height in sizes():
        high, wide = get_resize_output_image_size(
            shape(width, height), 336, default_to_square=False, input_data_format=ChannelDimension.FIRST)
        plans["llava"].append([width, height, wide, high, 1, 576])
        plans["llava_next"].append(any_resolution(width, height, following, 336))
        plans["llava_onevision"].append(any_resolution(width, height, vision, 384))
    text = json.dumps(plans, separators=(",", ":"))
    (IMAGES / "views.json").write_text(text.replace('"llava', '\n"llava') + "\n")


if __name__ == "__main__":
    main()
