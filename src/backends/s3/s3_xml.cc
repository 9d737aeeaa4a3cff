#include "backends/s3/s3_xml.h"

#include <charconv>
#include <ctime>
#include <pugixml.hpp>
#include <sstream>

#include "protocol/http/http_message.h"

namespace checkvalve {
namespace {

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

// In encoding-type=url a '+' is a space (form encoding); a plus sign comes as %2B.
std::string decoded(std::string_view text, bool url_encoded) {
  if (!url_encoded) return std::string(text);
  std::string spaced(text);
  for (char& c : spaced)
    if (c == '+') c = ' ';
  return percent_decode(spaced);
}

bool load(pugi::xml_document& document, std::string_view xml) {
  // Whitespace is part of keys.
  return document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single).status ==
         pugi::status_ok;
}

} // namespace

std::int64_t read_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const bool iso = text.size() > 10 && text[4] == '-';
  if (!strptime(copy.c_str(), iso ? "%Y-%m-%dT%H:%M:%S" : "%a, %d %b %Y %H:%M:%S", &parts)) return 0;
  return timegm(&parts);
}

Result<S3Page> read_page(std::string_view xml) {
  pugi::xml_document document;
  const bool readable = load(document, xml);
  const pugi::xml_node root = document.child("ListBucketResult");
  if (!readable || !root)
    return Failure(make_error(ErrorKind::protocol, "list", "", "the server's answer is no ListBucketResult"));
  const bool url_encoded = std::string_view(root.child_value("EncodingType")) == "url";
  S3Page page;
  for (const pugi::xml_node& node : root.children("Contents")) {
    S3Object& object = page.objects.emplace_back();
    object.key = decoded(node.child_value("Key"), url_encoded);
    const std::string_view size = node.child_value("Size");
    std::from_chars(size.data(), size.data() + size.size(), object.size_bytes);
    object.etag = unquoted(node.child_value("ETag"));
    object.modified_s = read_time(node.child_value("LastModified"));
  }
  for (const pugi::xml_node& node : root.children("CommonPrefixes"))
    page.prefixes.push_back(decoded(node.child_value("Prefix"), url_encoded));
  if (std::string_view(root.child_value("IsTruncated")) == "true") {
    page.continuation = root.child_value("NextContinuationToken");
    if (page.continuation.empty())
      return Failure(
          make_error(ErrorKind::protocol, "list", "", "the server's listing is cut off and has no continuation"));
  }
  return page;
}

Result<S3PartPage> read_part_page(std::string_view xml) {
  pugi::xml_document document;
  const bool readable = load(document, xml);
  const pugi::xml_node root = document.child("ListPartsResult");
  if (!readable || !root)
    return Failure(make_error(ErrorKind::protocol, "list parts", "", "the server's answer is no ListPartsResult"));
  S3PartPage page;
  for (const pugi::xml_node& node : root.children("Part")) {
    StoredPart& part = page.parts.emplace_back();
    part.number = node.child("PartNumber").text().as_uint();
    part.id = unquoted(node.child_value("ETag"));
    part.checksum = node.child_value("ChecksumCRC32C");
    part.size_bytes = node.child("Size").text().as_ullong();
  }
  if (std::string_view(root.child_value("IsTruncated")) == "true")
    page.next_marker = root.child_value("NextPartNumberMarker");
  return page;
}

S3Fault read_fault(std::string_view xml) {
  pugi::xml_document document;
  if (!load(document, xml)) return {};
  pugi::xml_node node = document.child("Error");
  if (!node) node = document.child("ErrorResponse").child("Error"); // STS
  return {node.child_value("Code"), node.child_value("Message"), node.child_value("Region")};
}

std::string read_element(std::string_view xml, const char* name) {
  pugi::xml_document document;
  if (!load(document, xml)) return "";
  const pugi::xml_node found =
      document.find_node([name](const pugi::xml_node& node) { return std::string_view(node.name()) == name; });
  return unquoted(found.child_value());
}

std::string write_parts(const std::vector<StoredPart>& parts) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  root.append_attribute("xmlns") = "http://s3.amazonaws.com/doc/2006-03-01/";
  for (const StoredPart& part : parts) {
    pugi::xml_node node = root.append_child("Part");
    node.append_child("PartNumber").text() = part.number;
    node.append_child("ETag").text() = ("\"" + part.id + "\"").c_str();
    if (!part.checksum.empty()) node.append_child("ChecksumCRC32C").text() = part.checksum.c_str();
  }
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return out.str();
}

} // namespace checkvalve
