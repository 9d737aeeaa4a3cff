// What services answer: XML of S3, JSON of credentials; and the document of --secrets-fd.
#include "backends/s3/s3_xml.h"
#include "cli/secrets.h"
#include "fuzz/target.h"

#include "backends/s3/aws_credential_sources.h"

using namespace checkvalve;

CV_FUZZ_TARGET(services) {
  switch (input.byte() % 6) {
  case 0: (void)read_page(input.rest()); break;
  case 1: read_fault(input.rest()); break;
  case 2: (void)read_part_page(input.rest()); break;
  case 3: read_time(input.rest()); break;
  case 4: (void)read_credentials_json(input.rest(), "a service"); break;
  default: {
    Secrets secrets;
    (void)parse_secrets_document(std::string(input.rest()), secrets);
  }
  }
}
