"""Makes DemoModel: a checkpoint folder without weights (the program draws random ones) and a sample picture.

The text tower has SmolLM2-135M's shape, the vision tower a small ViT's.

    python make_demo_model.py [--train-tokenizer]
"""

import argparse

from PIL import Image, ImageDraw, ImageFont
from tokenizers import Tokenizer

import fixture_tokenizer
from fixture_paths import DEMO
from fixture_tokenizer import write_json

ENTRIES = 4096


def config(tokenizer):
    """config.json in the Hugging Face InternVL layout."""
    end, begin = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "downsample_ratio": 0.5,
        "image_seq_length": 256,
        "image_token_id": tokenizer.token_to_id("<IMG_CONTEXT>"),
        "model_type": "internvl",
        "projector_hidden_act": "gelu",
        "text_config": {
            "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": begin, "eos_token_id": end,
            "head_dim": 64, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
            "intermediate_size": 1536, "max_position_embeddings": 8192, "mlp_bias": False, "model_type": "llama",
            "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pad_token_id": begin,
            "rms_norm_eps": 1e-05, "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
            "tie_word_embeddings": True, "use_cache": True, "vocab_size": -(-tokenizer.get_vocab_size() // 64) * 64,
        },
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vision_config": {
            "attention_bias": True, "attention_dropout": 0.0, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
            "hidden_size": 384, "image_size": [448, 448], "initializer_range": 0.02, "intermediate_size": 1536,
            "layer_norm_eps": 1e-06, "layer_scale_init_value": 0.1, "model_type": "internvl_vision",
            "norm_type": "layer_norm", "num_attention_heads": 6, "num_channels": 3, "num_hidden_layers": 12,
            "patch_size": [14, 14], "projection_dropout": 0.0, "use_absolute_position_embeddings": True,
            "use_mask_token": False, "use_mean_pooling": True, "use_qk_norm": False,
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
    }


def draw_sample(path):
    """A red house, a yellow sun, a green tree, a blue car and the name, 640 × 480."""
    image = Image.new("RGB", (640, 480))
    pen = ImageDraw.Draw(image)
    for y in range(480):
        sky = (150 + y // 6, 200 + y // 12, 250)
        pen.line([(0, y), (640, y)], fill=sky if y < 340 else (120 - (y - 340) // 4, 175 - (y - 340) // 3, 90))
    pen.ellipse([500, 40, 590, 130], fill=(250, 215, 40))
    pen.polygon([(90, 220), (190, 130), (290, 220)], fill=(120, 50, 40))
    pen.rectangle([110, 220, 270, 360], fill=(205, 45, 40))
    pen.rectangle([170, 280, 212, 360], fill=(90, 55, 35))
    for left in (125, 225):
        pen.rectangle([left, 240, left + 30, 268], fill=(235, 240, 250), outline=(90, 55, 35), width=2)
    pen.rectangle([352, 270, 374, 365], fill=(105, 70, 40))
    for x, y, radius in [(363, 205, 58), (325, 245, 42), (401, 245, 42)]:
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(35, 135, 55))
    pen.rectangle([0, 395, 640, 445], fill=(90, 90, 95))
    pen.polygon([(455, 360), (475, 325), (555, 325), (580, 360)], fill=(55, 105, 215))
    pen.rounded_rectangle([425, 358, 610, 402], 10, fill=(35, 80, 200))
    for x in (463, 570):
        pen.ellipse([x - 20, 384, x + 20, 424], fill=(25, 25, 28))
        pen.ellipse([x - 8, 396, x + 8, 412], fill=(200, 200, 205))
    # Debian's fonts-dejavu-core.
    pen.text((30, 20), "VIREO", fill=(20, 40, 80), font=ImageFont.truetype("DejaVuSans-Bold.ttf", 100))
    image.save(path, quality=88)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--train-tokenizer", action="store_true", help="train even where one is committed")
    folder = DEMO / "random"
    folder.mkdir(parents=True, exist_ok=True)
    committed = folder / "tokenizer.json"
    if committed.exists() and not arguments.parse_args().train_tokenizer:
        tokenizer = Tokenizer.from_file(str(committed))
    else:
        tokenizer = fixture_tokenizer.train(ENTRIES)
    fixture_tokenizer.save(tokenizer, folder, 8192, True)
    values = config(tokenizer)
    write_json(folder / "config.json", values)
    ids = values["text_config"]
    write_json(folder / "generation_config.json", {
        "bos_token_id": ids["bos_token_id"], "eos_token_id": [ids["eos_token_id"], ids["bos_token_id"]],
        "pad_token_id": ids["pad_token_id"]})
    write_json(folder / "preprocessor_config.json", {
        "crop_to_patches": True, "data_format": "channels_first", "default_to_square": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406],
        "image_processor_type": "GotOcr2ImageProcessorFast", "image_std": [0.229, 0.224, 0.225], "max_patches": 12,
        "min_patches": 1, "processor_class": "InternVLProcessor", "resample": 3,
        "rescale_factor": 0.00392156862745098, "size": {"height": 448, "width": 448}})
    write_json(folder / "processor_config.json", {"image_seq_length": 256, "processor_class": "InternVLProcessor"})
    draw_sample(DEMO / "sample.jpg")
    for path in [*sorted(folder.iterdir()), DEMO / "sample.jpg"]:
        print(path.name, path.stat().st_size)
    print("vocabulary", ids["vocab_size"], "of", tokenizer.get_vocab_size())


if __name__ == "__main__":
    main()
