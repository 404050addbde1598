import Tensors

extension CUDAOperators {
    private func plan(_ mixture: ExpertMixture, _ tokenCount: Int) -> ExpertPlan {
        ExpertPlan(
            tokenCount: tokenCount, topCount: mixture.topCount, expertCount: mixture.weights.count)
    }

    func mixScratchCount(_ mixture: ExpertMixture, tokenCount: Int) -> Int {
        guard tokenCount > 0 else { return 0 }
        let weights = mixture.weights
        return plan(mixture, tokenCount).parts(
            expertCount: weights.count, width: weights.width, hidden: weights.hidden
        ).byteCount / 4
    }

    // stream[t] += Σⱼ pⱼ · down(silu(gate(x[t])) · up(x[t])), j over the experts of the largest logits[t]
    func mixExperts(
        _ x: Tensor, logits: Tensor, mixture: ExpertMixture, scratch: Tensor, addingTo stream: Tensor,
    ) {
        guard let weights = mixture.weights as? CUDAExperts else {
            preconditionFailure("weights of this device")
        }
        let (tokenCount, hidden) = (x.shape.rowCount, weights.hidden)
        precondition(x.shape.columnCount == hidden, "x is [T, H]")
        precondition(logits.elementCount == tokenCount * weights.count, "logits is [T, experts]")
        precondition(stream.elementCount == tokenCount * hidden, "stream is [T, H]")
        precondition(
            scratch.elementCount >= mixScratchCount(mixture, tokenCount: tokenCount), "room for the scratch")
        guard tokenCount > 0 else { return }
        let kernels: ExpertKernels.Loaded
        do throws(DeviceError) { kernels = try experts.load() } catch { return self.stream.fail(error) }
        let plan = plan(mixture, tokenCount)
        let call = ExpertCall(
            operators: self, kernels: kernels, plan: plan, weights: weights, tokenCount: tokenCount,
            topCount: mixture.topCount,
            parts: plan.parts(expertCount: weights.count, width: weights.width, hidden: hidden),
            base: scratch.address)
        call.route(logits, normalizes: mixture.normalizes)
        call.multiply(x)
        call.add(to: stream)
    }
}

/// One mixture's work for some tokens.
private struct ExpertCall {
    let operators: CUDAOperators
    let kernels: ExpertKernels.Loaded
    let plan: ExpertPlan
    let weights: CUDAExperts
    let tokenCount: Int
    let topCount: Int
    let parts: ExpertPlan.Parts
    /// Where the scratch begins.
    let base: UInt

    /// A part of the scratch.
    private func slot(_ offset: Int) -> KernelSlot { KernelSlot(wide: UInt64(base) + UInt64(offset)) }

    /// Chooses every token's experts and puts the pairs in their order.
    func route(_ logits: Tensor, normalizes: Bool) {
        let stream = operators.stream, pairCount = plan.pairCount
        let work = KernelWork(bytes: logits.byteCount + 16 * pairCount)
        if plan.kind == .few {
            // A warp for each token and, where they are many, for each of some experts.
            stream.launch(
                kernels.routeFew, grid: (1, 1, 1), block: tokenCount <= 8 ? 256 : 1024, work: work,
                [
                    .init(logits), slot(parts.shares), slot(parts.places), slot(parts.tokens),
                    slot(parts.runs), slot(parts.runCount), .init(tokenCount), .init(weights.count),
                    .init(topCount), .init(normalizes ? 1 : 0), .init(plan.mostPlaces),
                ])
            return
        }
        stream.fill(base + UInt(parts.counts), byteCount: weights.count * 4)
        stream.launch(
            kernels.choose, grid: ((tokenCount + 7) / 8, 1, 1), block: 256, work: work,
            [
                .init(logits), slot(parts.chosen), slot(parts.shares), slot(parts.counts), .init(tokenCount),
                .init(weights.count), .init(topCount), .init(normalizes ? 1 : 0),
            ])
        stream.launch(
            kernels.place, grid: (weights.count, 1, 1), block: 256, work: work,
            [
                slot(parts.chosen), slot(parts.counts), slot(parts.places), slot(parts.tokens),
                slot(parts.runs), slot(parts.runCount), .init(pairCount), .init(weights.count),
                .init(topCount), .init(plan.mostPlaces),
            ])
    }

    /// The products of every pair, out f32 [pairs, H], each in its place.
    func multiply(_ x: Tensor) {
        let products =
            switch plan.kind {
            case .few: kernels.few
            case .tiles64: kernels.tiles64
            case .tiles128: kernels.tiles128
            }
        launch(
            products.gated, products, gated: true, x: KernelSlot(x), out: slot(parts.half),
            outputs: weights.width, inputs: weights.hidden,
            rowBytes: x.byteCount + plan.pairCount * weights.width * 2)
        launch(
            products.down, products, gated: false, x: slot(parts.half), out: slot(parts.out),
            outputs: weights.hidden, inputs: weights.width,
            rowBytes: plan.pairCount * (weights.width * 2 + weights.hidden * 4))
    }

    private func launch(
        _ kernel: CUDAKernel, _ products: ExpertKernels.Products, gated: Bool, x: KernelSlot, out: KernelSlot,
        outputs: Int, inputs: Int, rowBytes: Int,
    ) {
        let rows = (gated ? 2 : 1) * outputs, matrix = rows * inputs
        let tiles = (rows + products.rowCount - 1) / products.rowCount
        // Of few rows each of four warps takes tiles in turn.
        let grid =
            plan.kind == .few
            ? (min((plan.mostRuns * tiles + 3) / 4, max(1, products.residentBlocks)), 1, 1)
            : (tiles, plan.mostRuns, 1)
        operators.stream.launch(
            kernel, grid: grid, block: products.threads, shared: products.shared,
            // As if tokens chose evenly.
            work: KernelWork(
                bytes: plan.usualExperts * matrix * 2 + rowBytes, operations: 2 * plan.pairCount * matrix),
            [
                .init(wide: UInt64((gated ? weights.gateUp : weights.down).address)), x, slot(parts.tokens),
                slot(parts.runs), slot(parts.runCount), out, .init(outputs), .init(inputs),
            ])
    }

    /// Adds what came out, by its shares, to the stream.
    func add(to stream: Tensor) {
        operators.stream.launch(
            kernels.add, grid: ((weights.hidden + 511) / 512, min(tokenCount, 65_535), 1), block: 128,
            work: KernelWork(bytes: plan.pairCount * weights.hidden * 4 + 2 * stream.byteCount),
            [
                slot(parts.out), slot(parts.places), slot(parts.shares), .init(stream), .init(tokenCount),
                .init(weights.hidden), .init(topCount),
            ])
    }
}
