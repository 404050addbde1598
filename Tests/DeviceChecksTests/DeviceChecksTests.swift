import CPUBackend
import DeviceChecks
import Testing

@Suite struct DeviceChecksTests {
    // One run tells both: it takes a while, since the numbers are many.
    @Test func `two levels of the processor agree on everything but what is spoilt, and that is found`() {
        let spoiler = Spoiler(CPUDevice(threadCount: 2, level: .portable, exact: true))
        let pair = CheckedPair(reference: CPUDevice(threadCount: 2, exact: true), device: spoiler)
        pair.checkOperators()
        #expect(pair.findings.count > 500)
        let wrong = pair.findings.filter { !$0.isRight }
        // One result of each operator, and nothing else.
        #expect(wrong.map(\.name).sorted() == spoiler.spoiltNames.sorted(), "\(wrong)")
    }
}
