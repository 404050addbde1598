import Models
import Scheduling
import Tensors

/// Lays the tokens of a step's sequences one after another, with their positions, slots and pages, and uploads them.
struct InputPacker {
    let device: any Device
    let workspace: Workspace
    let limits: SchedulerLimits

    /// The batch of `sequences`, none of them empty.
    func pack(_ sequences: [SequenceStep], embeddings: Tensor, cache: [KVLayer]) throws(DeviceError) -> Batch
    {
        var ids: [Int32] = []
        var imageRows: [Int32] = []
        var positions: [Int32] = []
        var slots: [Int32] = []
        var starts: [Int32] = [0]
        var lengths: [Int32] = []
        var logitRows: [Int32] = []
        let mostPages = sequences.map(\.pages.count).max() ?? 0
        var pageTable: [Int32] = []
        for sequence in sequences {
            // The logits of a token are those of the one before it.
            for place in sequence.scoring?.places ?? [] {
                logitRows.append(Int32(ids.count + place - 1 - sequence.start))
            }
            ids += sequence.tokens
            imageRows += sequence.imageRows
            for position in sequence.start..<(sequence.start + sequence.tokens.count) {
                positions.append(Int32(position))
                // Safe: the scheduler gives a sequence pages for all of its tokens.
                let page = sequence.pages[position / limits.pageSize]
                slots.append(page * Int32(limits.pageSize) + Int32(position % limits.pageSize))
            }
            starts.append(Int32(ids.count))
            lengths.append(Int32(sequence.start + sequence.tokens.count))
            pageTable += sequence.pages + Array(repeating: 0, count: mostPages - sequence.pages.count)
            if sequence.choice != nil { logitRows.append(Int32(ids.count - 1)) }
        }
        let attention = AttentionBatch(
            positions: try upload(positions), slots: try upload(slots), queryStarts: try upload(starts),
            contextLengths: try upload(lengths),
            pageTable: try upload(pageTable).reshaped([sequences.count, mostPages]),
            sequenceCount: sequences.count,
            maxQueryCount: sequences.map(\.tokens.count).max() ?? 0, maxContextLength: Int(lengths.max() ?? 0)
        )
        return Batch(
            ids: try upload(ids), imageRows: try upload(imageRows), images: embeddings, attention: attention,
            logitRows: try upload(logitRows), cache: cache)
    }

    private func upload(_ values: [Int32]) throws(DeviceError) -> Tensor {
        let tensor = try workspace.take([values.count], .i32)
        device.write(values, to: tensor)
        return tensor
    }
}
