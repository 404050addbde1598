import NIOCore
package import NIOSSL

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

/// Reads PEM.
package enum PEMFile {
    /// The certificates of a file, at least one.
    package static func certificates(_ path: String) throws(TLSFileError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(path)
            if !found.isEmpty { return found }
        } catch is IOError {
            throw .unreadable(path)
        } catch {
            throw .noCertificate(path)
        }
        throw .noCertificate(path)
    }

    /// The private key of a file.
    fileprivate static func key(_ path: String) throws(TLSFileError) -> NIOSSLPrivateKey {
        do {
            return try NIOSSLPrivateKey(file: path, format: .pem)
        } catch is IOError {
            throw .unreadable(path)
        } catch {
            throw .noKey(path)
        }
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
