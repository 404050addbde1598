import NIOSSL

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A server's certificates and private key, which belong together.
package struct TLSIdentity: Sendable {
    /// TLS 1.2 and 1.3, HTTP/1.1.
    let configuration: TLSConfiguration

    /// Reads two PEM files: the server's certificate with those that signed it, and its key.
    package init(certificateFile: String, keyFile: String) throws(TLSFileError) {
        let chain = try PEMFile.certificates(certificateFile)
        let key = try PEMFile.key(keyFile)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do {
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .mismatch(certificate: certificateFile, key: keyFile)
        }
        self.configuration = configuration
    }
}

/// Certificates that those of other servers may be signed with.
package struct TrustedCertificates: Sendable {
    let certificates: [NIOSSLCertificate]

    /// Reads a PEM file of at least one certificate.
    package init(file: String) throws(TLSFileError) { certificates = try PEMFile.certificates(file) }
}

/// Reads PEM.
private enum PEMFile {
    /// The certificates of a file, at least one.
    static func certificates(_ path: String) throws(TLSFileError) -> [NIOSSLCertificate] {
        try check(path)
        let found = try? NIOSSLCertificate.fromPEMFile(path)
        guard let found, !found.isEmpty else { throw .noCertificate(path) }
        return found
    }

    /// The private key of a file.
    static func key(_ path: String) throws(TLSFileError) -> NIOSSLPrivateKey {
        try check(path)
        guard let key = try? NIOSSLPrivateKey(file: path, format: .pem) else { throw .noKey(path) }
        return key
    }

    private static func check(_ path: String) throws(TLSFileError) {
        guard unsafe access(path, R_OK) == 0 else { throw .unreadable(path) }
    }
}

/// Why a file of certificates or keys is of no use.
package enum TLSFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is not there or not for this user.
    case unreadable(String)
    /// There is no certificate in it.
    case noCertificate(String)
    /// There is no key in it.
    case noKey(String)
    /// The key is another certificate's.
    case mismatch(certificate: String, key: String)

    package var description: String {
        switch self {
        case .unreadable(let path): "\(path) cannot be read"
        case .noCertificate(let path): "\(path) has no certificate in PEM form"
        case .noKey(let path): "\(path) has no private key in PEM form, or one with a password"
        case .mismatch(let certificate, let key):
            "the key in \(key) does not belong to the first certificate in \(certificate)"
        }
    }
}
