/// The release of Millrace that this build belongs to.
public enum Release {
    /// The version that all programs and packages have. The commit of a release increases it.
    public static let version = "0.1.0"
}
