import CUDAStandIn
import Foundation
import Tensors
import Testing

@testable import CUDABackend

extension CUDATests {
    @Suite struct KernelCompilerTests {
        private func compiler(_ store: KernelStore = KernelStore(folder: nil)) throws -> KernelCompiler {
            KernelCompiler(stream: try CUDAStream(libraries: StandIn.reset(), ordinal: 0), store: store)
        }

        @Test func `each module is compiled once, for the GPU and with its settings`() throws {
            let compiler = try compiler()
            let module = KernelModule(source: "attention", settings: ["PAGE_SIZE": 16, "HEAD_DIM": 64])
            let handle = try compiler.load(module)
            #expect(try compiler.load(module) == handle)
            let kernel = try compiler.kernel("decode_attention", module, shared: 100_000)
            #expect(
                try compiler.kernel("decode_attention", module, shared: 100_000).address == kernel.address)
            #expect(try compiler.kernel("full_attention", module).address != kernel.address)
            #expect(
                StandIn.compilations == [
                    "attention.cu --gpu-architecture=sm_90a --std=c++17 -diag-suppress=177 -DHEAD_DIM=64 -DPAGE_SIZE=16"
                ])
            #expect(StandIn.calls("load_module") == 1 && StandIn.calls("module_function") == 2)
            try compiler.load(
                KernelModule(source: "attention", settings: ["PAGE_SIZE": 16, "HEAD_DIM": 128]))
            #expect(StandIn.compilations.count == 2)
            #expect(StandIn.calls("compiler.destroy") == StandIn.calls("compiler.create"))
        }

        @Test func `a second start finds everything in the store, another GPU nothing`() throws {
            let folder = try TemporaryFolder(), store = KernelStore(folder: folder.path)
            _ = try CUDADevice(libraries: StandIn.reset(), ordinal: 0, store: store)
            #expect(
                Set(StandIn.compilations.compactMap { $0.split(separator: " ").first })
                    == ["rows.cu", "rotary.cu", "vision.cu", "sampling.cu", "products.cu"])
            #expect(StandIn.compilations.count == 5 && folder.files.count == 5)
            _ = try CUDADevice(libraries: StandIn.reset(), ordinal: 0, store: store)
            #expect(StandIn.calls("compiler.compile") == 0 && StandIn.calls("load_module") == 5)
            _ = try CUDADevice(libraries: StandIn.reset(StandIn.ampere), ordinal: 0, store: store)
            #expect(StandIn.calls("compiler.compile") == 5 && folder.files.count == 10)
            #expect(StandIn.compilations.allSatisfy { $0.contains("--gpu-architecture=sm_80 ") })
        }

        @Test func `a mistake in a kernel is shown as the compiler tells it, and tried again`() throws {
            let compiler = try compiler()
            StandIn.fail("compiler.compile", 6)
            #expect(
                refusal { try compiler.load(KernelModule(source: "rows")) } == """
                    rows.cu does not compile (--gpu-architecture=sm_90a --std=c++17 -diag-suppress=177):
                    rows.cu(7): error: a semicolon is missing
                    """)
            try compiler.load(KernelModule(source: "rows"))
            #expect(
                refusal { try compiler.load(KernelModule(source: "none")) }
                    == "there are no kernels named none")
        }

        @Test(arguments: ["compiler.create", "compiler.code_size", "compiler.code", "load_module"])
        func `what fails on the way to a module throws and keeps nothing`(function: String) throws {
            let folder = try TemporaryFolder()
            let compiler = try compiler(KernelStore(folder: folder.path))
            StandIn.fail(function, 5)
            #expect(refusal { try compiler.load(KernelModule(source: "rows")) } != "nothing was refused")
            #expect(folder.files.count == (function == "load_module" ? 1 : 0))
            try compiler.load(KernelModule(source: "rows"))
        }

        @Test func `shared memory beyond the usual is asked for, and refused where the GPU has less`() throws
        {
            let compiler = try compiler(), module = KernelModule(source: "sampling")
            _ = try compiler.kernel("sample_rows", module, shared: 232_448)
            #expect(
                refusal { _ = try compiler.kernel("other_rows", module, shared: 232_449) }
                    == "giving 232449 bytes of shared memory to other_rows failed: error 1 of the stand-in")
        }

        @Test func `every source begins with what all have in common and counts its own lines`() throws {
            let common = try #require(
                try KernelCompiler.text(of: "rows").components(separatedBy: "#line 1 \"rows.cu\"\n").first)
            for source in ["attention", "products", "rows", "rotary", "vision", "sampling"] {
                let text = try KernelCompiler.text(of: source)
                #expect(text.hasPrefix(common + "#line 1 \"\(source).cu\"\n") && text.contains("KERNEL"))
            }
        }
    }
}
