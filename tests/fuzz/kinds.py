"""The kinds of input that are fuzzed, each a module with `cases(cheap)`, a strategy of inputs."""

import checkpoints
import clips
import command_lines
import conversations
import journals
import model_folders
import pictures
import records
import urls
import weights

KINDS = {
    module.__name__: module
    for module in (
        pictures,
        clips,
        conversations,
        urls,
        model_folders,
        weights,
        records,
        journals,
        checkpoints,
        command_lines,
    )
}
