import CPUBackend
import DeviceChecks
import Synchronization
import Tensors
import Testing

@Suite struct DeviceChecksTests {
    @Test func `two levels of the processor agree on everything`() {
        let pair = CheckedPair(
            reference: CPUDevice(threadCount: 2, exact: true), device: CPUDevice(threadCount: 2, level: .portable))
        pair.checkOperators()
        #expect(pair.findings.count > 500)
        for finding in pair.findings where !finding.isRight { Issue.record("\(finding)") }
    }

    @Test func `a device that spoils one result of every operator is found out at each`() {
        let processor = CPUDevice(threadCount: 2, exact: true)
        let spoiler = Spoiler(processor)
        let pair = CheckedPair(reference: processor, device: spoiler)
        pair.checkOperators()
        let wrong = pair.findings.filter { !$0.isRight }
        #expect(wrong.count == spoiler.spoiltNames.count)
        #expect(Set(wrong.map(\.name)) == spoiler.spoiltNames)
    }
}
