"""Makes the tiny random InternVL checkpoints under Tests/Fixtures/models, in both published layouts.

Weights are drawn tensor by tensor from a generator seeded with the tensor's name, rounded to the stored type, and far
enough from their initial values (norms, biases, layer scales, positions) that leaving one out changes the answer.

    python make_models.py [--train-tokenizer]
"""

import argparse
import hashlib
import json
import shutil

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import InternVLConfig, InternVLForConditionalGeneration, LlamaConfig, Qwen2Config
from transformers.models.internvl.configuration_internvl import InternVLVisionConfig

import fixture_tokenizer
from fixture_paths import MODELS
from fixture_tokenizer import write_json
from opengvlab_layout import opengvlab_config, opengvlab_name_and_tensors

TILE = 112
TOKENS_PER_TILE = 16
TOKENIZER_ENTRIES = 700
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Searched for: no greedy step of any case is a near tie, no case repeats itself, none writes an image mark.
SEEDS = {"qwen2": "qwen2597", "llama": "llama2276"}


def qwen2_config(tokenizer):
    """Qwen2 text with biases and a padded vocabulary; a 300M-like tower (LayerNorm, qkv biases)."""
    padded = -(-tokenizer.get_vocab_size() // 64) * 64
    padded += 64 if padded == tokenizer.get_vocab_size() else 0
    return InternVLConfig(
        text_config=Qwen2Config(
            vocab_size=padded, hidden_size=64, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024, rms_norm_eps=1e-6, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, **token_ids(tokenizer),
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, image_size=TILE,
            patch_size=14, norm_type="layer_norm", layer_norm_eps=1e-2, attention_bias=True, use_qk_norm=False,
        ),
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=False,
    )


def llama_config(tokenizer):
    """Llama text (llama3 RoPE, its own head size, tied embeddings); a 6B-like tower (RMSNorm, q and k norms)."""
    return InternVLConfig(
        text_config=LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(), hidden_size=48, intermediate_size=88, num_hidden_layers=2,
            num_attention_heads=6, num_key_value_heads=2, head_dim=16, max_position_embeddings=512,
            rms_norm_eps=1e-2, tie_word_embeddings=True,
            rope_parameters={
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
            }, **token_ids(tokenizer),
        ),
        vision_config=InternVLVisionConfig(
            hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=2, image_size=TILE,
            patch_size=14, norm_type="rms_norm", attention_bias=False, use_qk_norm=True,
        ),
        image_token_id=tokenizer.token_to_id("<IMG_CONTEXT>"), image_seq_length=TOKENS_PER_TILE,
        tie_word_embeddings=True,
    )


def token_ids(tokenizer):
    """The begin, end and padding ids a text config names."""
    return {
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"), "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "pad_token_id": tokenizer.token_to_id("<|endoftext|>"),
    }


def randomise(model, stored_type, tokenizer, seed):
    """Draws every parameter afresh and rounds it to `stored_type`."""
    quiet = torch.ones(model.config.text_config.vocab_size, 1)
    quiet[tokenizer.token_to_id("<IMG_CONTEXT>")] = 0.1     # Greedy decoding should not write image marks,
    quiet[tokenizer.get_vocab_size():] = 0.1                # nor ids the tokenizer does not know.
    tied = model.config.tie_word_embeddings
    gain = 2.2 if tied else 1.6                             # Tied heads repeat their input unless layers outweigh it.
    for name, parameter in model.named_parameters():
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "little"))
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("lambda_1", "lambda_2")):
            value = 0.6 + 0.3 * noise
        elif "norm" in name and name.endswith("weight"):
            value = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.3 * noise
        elif name.endswith(("cls_token", "position_embeddings")):
            value = 0.5 * noise
        elif name.endswith("embed_tokens.weight"):
            value = noise * quiet * (0.3 if tied else 1.0)
        elif name.endswith("lm_head.weight"):
            value = noise * quiet * 3.0 / parameter.shape[1] ** 0.5
        else:
            fan_in = parameter[0].numel()
            value = gain * noise / fan_in ** 0.5
        with torch.no_grad():
            parameter.copy_(value.to(stored_type).float())


def save_hugging_face(model, folder, stored_type, tokenizer, shard_size, generation):
    """One folder in the layout `save_pretrained` writes, with the processor files hub folders hold."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.to(stored_type)
    model.config.dtype = stored_type
    model.save_pretrained(folder, max_shard_size=shard_size)
    model.float()
    write_json(folder / "generation_config.json", generation)
    write_json(folder / "preprocessor_config.json", {
        "crop_to_patches": False, "data_format": "channels_first", "default_to_square": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": MEAN, "image_std": STD,
        "image_processor_type": "GotOcr2ImageProcessorFast", "max_patches": 12, "min_patches": 1,
        "processor_class": "InternVLProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
        "size": {"height": TILE, "width": TILE},
    })
    write_json(folder / "processor_config.json", {
        "image_seq_length": TOKENS_PER_TILE, "processor_class": "InternVLProcessor"})
    fixture_tokenizer.save(tokenizer, folder, model.config.text_config.max_position_embeddings, True)


def save_opengvlab(model, folder, stored_type, tokenizer, generation):
    """The same weights in OpenGVLab's internvl_chat layout, with the CLIP preprocessor file those folders carry."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = {name: tensor.to(stored_type).contiguous() for name, tensor in opengvlab_name_and_tensors(model)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", opengvlab_config(model.config, stored_type))
    write_json(folder / "generation_config.json", {"_from_model_config": True, **generation,
                                                   "transformers_version": "4.37.2"})
    # Left over from the tower's pre-training: no size or filter in it describes what the model is fed.
    write_json(folder / "preprocessor_config.json", {
        "crop_size": 448, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": MEAN, "image_std": STD, "resample": 3,
        "size": 448,
    })
    fixture_tokenizer.save(tokenizer, folder, model.config.text_config.max_position_embeddings, False)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--train-tokenizer", action="store_true", help="train even where one is committed")
    committed = MODELS / "internvl-qwen2-hf" / "tokenizer.json"
    if committed.exists() and not arguments.parse_args().train_tokenizer:
        tokenizer = Tokenizer.from_file(str(committed))
    else:
        tokenizer = fixture_tokenizer.train(TOKENIZER_ENTRIES)
    end, begin = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")

    plans = [
        ("qwen2", qwen2_config(tokenizer), torch.bfloat16, torch.bfloat16, "5GB", [end, begin]),
        ("llama", llama_config(tokenizer), torch.float16, torch.float32, "100KB", end),
    ]
    for name, config, stored_type, opengvlab_type, shard_size, ends in plans:
        model = InternVLForConditionalGeneration(config).eval()
        randomise(model, stored_type, tokenizer, seed=SEEDS[name])
        generation = {"bos_token_id": begin, "eos_token_id": ends, "pad_token_id": begin}
        save_hugging_face(model, MODELS / f"internvl-{name}-hf", stored_type, tokenizer, shard_size,
                          {**generation, "do_sample": False})
        save_opengvlab(model, MODELS / f"internvl-{name}-opengvlab", opengvlab_type, tokenizer, {
            **generation, "eos_token_id": [end, begin]})
    for folder in sorted(MODELS.iterdir()):
        if folder.is_dir():
            for file in folder.iterdir():
                file.chmod(0o644)
            size = sum(file.stat().st_size for file in folder.iterdir())
            print(f"{folder.name}: {size} bytes in {len(list(folder.iterdir()))} files")


if __name__ == "__main__":
    main()
